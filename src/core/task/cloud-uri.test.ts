import { describe, expect, test } from "vitest";
import { hasUnknownScheme, isAzureUri, isCloudUri, isWebUri, requireKnownScheme } from "./cloud-uri.ts";

const ACCOUNT = "https://acct.blob.core.windows.net";

describe("a source of a file mount", () => {
  test.each(["s3://b", "gs://b/x", "https://example.com/x", "ftp://host/x", "foo+bar://h", `${ACCOUNT}/c`, "S3://b"])(
    "is elsewhere: %s",
    (source) => expect(isCloudUri(source)).toBe(true),
  );

  // The original takes the last two for local paths as well.
  test.each(["./x", "/a/b", "~/x", "//host/x", "a:b", "file:///etc/hosts", "foo:bar"])("is here: %s", (source) =>
    expect(isCloudUri(source)).toBe(false),
  );

  test.each(["ftp://host/x", "S3://b", "file://host/x"])(
    "%s is refused by its scheme, with what there is",
    (source) => {
      expect(hasUnknownScheme(source)).toBe(true);
      const [scheme] = source.split(":");
      const message = `File mount source '${source}' cannot be used: ${scheme}:// is not supported.`;
      expect(() => requireKnownScheme(source)).toThrow(
        expect.objectContaining({ message, hint: expect.stringContaining("s3:// (`store: s3`), r2://") as unknown }),
      );
    },
  );

  test.each(["./x", "gs://b", "http://h/x", "file:///etc/hosts"])("%s is not refused by its scheme", (source) => {
    expect(() => requireKnownScheme(source)).not.toThrow();
  });
});

describe("Azure", () => {
  test.each([
    `${ACCOUNT}/cont`,
    `${ACCOUNT}/cont/dir/file`,
    "HTTPS://Acct.Blob.Core.Windows.Net/c",
    "http://acct.blob.core.windows.net:443/c",
    "https://acct.blob.core.windows.net",
    "https://user@acct.blob.core.windows.net/c?x=1",
    `${ACCOUNT}/cont?sv=1&sig=abc`,
  ])("has %s", (uri) => {
    expect(isAzureUri(uri)).toBe(true);
    expect(isWebUri(uri)).toBe(false);
  });

  test.each([
    "https://example.com/acct.blob.core.windows.net/c",
    "https://acct.blob.core.windows.net.example.com/c",
    "https://blob.core.windows.net/c",
    "https://example.com/x?from=https://acct.blob.core.windows.net/c",
  ])("does not have %s", (uri) => {
    expect(isAzureUri(uri)).toBe(false);
    expect(isWebUri(uri)).toBe(true);
  });

  test.each([`${ACCOUNT}/cont/file?sv=1&sig=abc`, `${ACCOUNT}/cont/dir/file?sig=abc`])(
    "lets a signed blob be a file of the web: %s",
    (uri) => expect([isAzureUri(uri), isWebUri(uri)]).toEqual([true, true]),
  );
});

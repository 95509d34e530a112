import { expect, it } from "vitest";
import { ecrRegistryOf } from "./ecr-login.ts";

const OF = "123456789012";

it.each([
  [`${OF}.dkr.ecr.us-east-1.amazonaws.com`, "us-east-1", "https://api.ecr.us-east-1.amazonaws.com/"],
  [`${OF}.dkr.ecr-fips.us-gov-west-1.amazonaws.com`, "us-gov-west-1", "https://api.ecr.us-gov-west-1.amazonaws.com/"],
  [`${OF}.dkr.ecr.cn-north-1.amazonaws.com.cn`, "cn-north-1", "https://api.ecr.cn-north-1.amazonaws.com.cn/"],
  [`${OF}.dkr-ecr.eu-west-1.on.aws`, "eu-west-1", "https://api.ecr.eu-west-1.amazonaws.com/"],
])("%s is a registry of ECR in %s", (host, region, url) => {
  expect(ecrRegistryOf(`${host}/team/little:2`)).toEqual({ host, region, url });
});

it.each([
  "ubuntu:24.04",
  "public.ecr.aws/docker/library/ubuntu",
  `${OF}.dkr.ecr.us-east-1.amazonaws.com`,
  `${OF}.dkr.ecr.us-east-1.amazonaws.com.evil.example/a`,
  `evil.example/${OF}.dkr.ecr.us-east-1.amazonaws.com/a`,
  `x${OF}.dkr.ecr.us-east-1.amazonaws.com/a`,
])("%s is none", (image) => {
  expect(ecrRegistryOf(image)).toBeUndefined();
});

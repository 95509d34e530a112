/** The command line as it may be stored and shown to others: values of secrets are left out. */
export function redactCommandLine(words: readonly string[]): string {
  const shown: string[] = ["sky"];
  let secretNext = false;
  for (const word of words) {
    if (secretNext) {
      shown.push(hide(word));
      secretNext = false;
      continue;
    }
    const assigned = /^(--secret|--token|--service-account-token)=(.*)$/s.exec(word);
    if (assigned !== null) {
      shown.push(`${assigned[1]}=${hide(assigned[2] ?? "")}`);
      continue;
    }
    secretNext = /^(--secret|--token|--service-account-token|-t)$/.test(word) && (word !== "-t" || words[0] === "api");
    shown.push(quote(word));
  }
  return shown.join(" ");
}

function hide(value: string): string {
  const [key] = value.split("=", 1);
  return value.includes("=") ? `${key}=<redacted>` : "<redacted>";
}

/** Quotes a word so that the line can be pasted into a shell. */
function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}

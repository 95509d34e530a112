import { AbortedError, type Machine } from "./context.ts";

/** Asks a yes/no question on stderr; an empty answer is `fallback`, the end of input is a no. Throws AbortedError on no. */
export async function confirm(machine: Machine, question: string, fallback: boolean): Promise<boolean> {
  const choices = fallback ? "[Y/n]" : "[y/N]";
  while (true) {
    machine.err.write(`${question} ${choices}: `);
    const line = await machine.input.readLine({ signal: machine.signal });
    if (line === undefined) {
      machine.err.write("\n");
      throw new AbortedError("End of input at a question.");
    }
    const answer = line.trim().toLowerCase();
    if (answer === "" ? fallback : ["y", "yes"].includes(answer)) return true;
    if (answer === "" || ["n", "no"].includes(answer)) throw new AbortedError("The answer was no.");
    machine.err.write("Error: invalid input\n");
  }
}

/** Asks for a text on stderr. Throws AbortedError at the end of input. */
export async function ask(machine: Machine, question: string): Promise<string> {
  while (true) {
    machine.err.write(question);
    const line = await machine.input.readLine({ signal: machine.signal });
    if (line === undefined) {
      machine.err.write("\n");
      throw new AbortedError("End of input at a question.");
    }
    if (line.trim() !== "") return line.trim();
  }
}

/** Several ask for the same thing, each after a wait of its own. Who asked last decides when it is done; the others get its result. */
export class LastAsked<T> {
  #last: Promise<T> | undefined;

  /** `act` is left out when somebody has asked again during the wait. */
  ask<W>(wait: () => Promise<W>, act: (waited: W) => Promise<T>): Promise<T> {
    const own: Promise<T> = wait().then((waited) => {
      const last = this.#last ?? own;
      return last === own ? act(waited) : last;
    });
    this.#last = own;
    return own;
  }
}

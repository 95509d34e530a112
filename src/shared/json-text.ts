/** A result that is JSON text already, so that a large one is not parsed and written again. */
export class JsonText {
  readonly text: string;
  /** Whether there is a key in it, so that it is not written down in the clear. */
  readonly isSecret: boolean;
  constructor(text: string, options: { readonly isSecret?: boolean } = {}) {
    this.text = text;
    this.isSecret = options.isSecret ?? false;
  }
}

import type { SetAutostopParams } from "../../shared/agent/protocol.ts";

export class Autostop {
  readonly #save: (params: SetAutostopParams) => void;

  constructor(save: (params: SetAutostopParams) => void) {
    this.#save = save;
  }

  set(params: SetAutostopParams): void {
    this.#save(params);
  }
}

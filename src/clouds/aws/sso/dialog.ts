/** How a login speaks to the user's terminal. */
export interface LoginDialog {
  readonly say: (line: string) => void;
  readonly openUrl: (url: string) => void;
}

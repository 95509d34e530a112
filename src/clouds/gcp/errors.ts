import { CloudUserIdentityError, OperationFailedError } from "../../shared/errors.ts";

/** The Google credentials are missing, broken or refused; the hint says what to do. */
export class GoogleAuthError extends CloudUserIdentityError {}

/** There are no Google credentials at all. */
export class NoGoogleCredentialsError extends GoogleAuthError {}

/** Google answered a call with an error. */
export class GoogleApiError extends OperationFailedError {
  readonly httpStatus: number;
  /** Google's own reason, e.g. `SERVICE_DISABLED`. */
  readonly reason: string | undefined;
  constructor(
    message: string,
    options: ErrorOptions & { readonly httpStatus: number; readonly reason?: string | undefined },
  ) {
    super(message, options);
    this.httpStatus = options.httpStatus;
    this.reason = options.reason;
  }
}

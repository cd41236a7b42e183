/** The parts of `@std/http` that this repository uses. */

export const STATUS_CODE: {
  readonly OK: 200;
  readonly NoContent: 204;
  readonly Unauthorized: 401;
  readonly Forbidden: 403;
  readonly NotFound: 404;
  readonly MethodNotAllowed: 405;
  readonly UpgradeRequired: 426;
  readonly InternalServerError: 500;
  readonly ServiceUnavailable: 503;
};
export const STATUS_TEXT: { readonly [status: number]: string };

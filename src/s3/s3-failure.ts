/** What S3 says when a call fails, and what to do. Pure. */
import { errorText } from "../base/haplan-error.ts";

/** By S3's error code, or that of the system. */
const remedies: readonly (readonly [pattern: RegExp, advice: string])[] = [
  [
    /^(CredentialsProviderError|TokenProviderError)$/,
    "haplan uses the credentials that the AWS CLI uses: try `aws sts get-caller-identity`, then set AWS_PROFILE.",
  ],
  [
    /^(ExpiredToken|TokenRefreshRequired)$/,
    "The credentials have expired: log in again, such as with `aws sso login`.",
  ],
  [/^(InvalidAccessKeyId|SignatureDoesNotMatch|InvalidToken)$/, "The store does not take these credentials."],
  [
    /^(RequestTimeTooSkewed|RequestExpired)$/,
    "The clock of this machine is wrong: compare it with that of a time server.",
  ],
  [/^(NoSuchBucket)$/, "haplan creates no buckets: create it, or write the name of another one."],
  [
    /^(AccessDenied|AllAccessDisabled|Forbidden|HTTP 403)$/,
    "The credentials lack a permission: docs/backup.md lists those that haplan needs.",
  ],
  [
    /^(PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraintException|HTTP 301)$/,
    "The bucket is in another region: write it as `region`.",
  ],
  [/^(SlowDown|ServiceUnavailable|InternalError|HTTP 5\d\d)$/, "The store is busy: try again later."],
  [/^(BadDigest|XAmzContentSHA256Mismatch)$/, "It was changed on the way: try again."],
  [
    /^(TimeoutError|ECONNREFUSED|ENOTFOUND|ECONNRESET|EPIPE|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|NetworkingError)$/,
    "The connection was refused or cut: check the network, `region` and `endpoint`, then try again.",
  ],
];

/** `NoSuchBucket: The specified bucket does not exist (request id 4442587FB7D0A2F9)`. */
export function s3ErrorText(error: unknown): string {
  const code = s3ErrorCode(error);
  const text = errorText(error);
  // An answer to HEAD has no text.
  const said = text === "" || text === "UnknownError" || text === code ? "" : text;
  const id = requestId(error);
  return `${[code, said].filter((part) => part !== "").join(": ")}${id === null ? "" : ` (request id ${id})`}`;
}

/** Empty if there is none. */
export function s3Advice(error: unknown): string {
  if (/region is missing/i.test(errorText(error))) return "Write `region`, or set AWS_REGION.";
  const code = s3ErrorCode(error);
  return remedies.find(([pattern]) => pattern.test(code))?.[1] ?? "";
}

/** S3's code of the error; that of the system for a lost connection; the status if the answer had none; empty if none. */
export function s3ErrorCode(error: unknown): string {
  if (!(error instanceof Error)) return "";
  const { Code, code, $metadata } = error as {
    readonly Code?: unknown;
    readonly code?: unknown;
    readonly $metadata?: { readonly httpStatusCode?: unknown };
  };
  if (typeof Code === "string") return Code;
  if (typeof code === "string") return code;
  if (!/^(Error|Unknown\w*|\d+)$/.test(error.name)) return error.name;
  return typeof $metadata?.httpStatusCode === "number" ? `HTTP ${$metadata.httpStatusCode}` : "";
}

function requestId(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  const { $metadata: facts } = error as { readonly $metadata?: { readonly requestId?: unknown } };
  return typeof facts?.requestId === "string" ? facts.requestId : null;
}

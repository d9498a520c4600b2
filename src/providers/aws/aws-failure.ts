/** What AWS says when a call fails, as an error that says what haplan wanted and what to do. Pure. */
import { errorText, HaplanError } from "../../base/haplan-error.ts";

export type FailedCall = {
  /** What haplan wanted: `create the instance of m1`. */
  readonly purpose: string;
  /** AWS's name of the call. */
  readonly action: string;
  readonly error: unknown;
};

type Remedy = { readonly code: string; readonly pattern: RegExp; readonly advice: string };

/** By AWS's error code. */
const remedies: readonly Remedy[] = [
  {
    code: "aws/credentials",
    pattern: /^(CredentialsProviderError|TokenProviderError)$/,
    advice:
      "haplan uses the credentials that the AWS CLI uses: try `aws sts get-caller-identity`, then set AWS_PROFILE, or `profile` in the spec",
  },
  {
    code: "aws/credentials",
    pattern: /^(ExpiredToken|ExpiredTokenException|RequestExpired)$/,
    advice:
      "The credentials have expired, or the clock of this machine is wrong: log in again, such as with `aws sso login`, then apply again",
  },
  {
    code: "aws/credentials",
    pattern:
      /^(AuthFailure|InvalidClientTokenId|UnrecognizedClientException|SignatureDoesNotMatch|InvalidAccessKeyId)$/,
    advice: "AWS does not know these credentials: check them with `aws sts get-caller-identity`",
  },
  {
    code: "aws/not-authorized",
    pattern: /^(UnauthorizedOperation|AccessDenied|AccessDeniedException|OptInRequired)$/,
    advice: "The caller lacks the permission: docs/aws.md has the policy that haplan needs",
  },
  {
    code: "aws/throttled",
    pattern: /^(RequestLimitExceeded|Throttling|ThrottlingException|TooManyRequestsException)$/,
    advice: "AWS limits how often the account may call: apply again later, with a lower `connections` in the spec",
  },
  {
    code: "aws/no-capacity",
    pattern: /^(InsufficientInstanceCapacity|InsufficientHostCapacity|InsufficientCapacity|Unsupported)$/,
    advice:
      "The zone has no room for this instance type now: apply again later, write another `instanceType` for the machine, or an address of a subnet in another zone",
  },
  {
    code: "aws/volume-changed-lately",
    pattern: /^(VolumeModificationRateExceeded|IncorrectModificationState)$/,
    advice:
      "AWS changes a volume once in six hours, and only after the change before it has ended: apply again six hours after the last one. Nothing else waits for it",
  },
  {
    code: "aws/quota",
    pattern: /(LimitExceeded|^Max\w+Exceeded|^VcpuLimitExceeded|^TooMany\w+)$/,
    advice: "The account's quota is used up: ask for a higher one in the console, under Service Quotas",
  },
  {
    code: "aws/idempotency-mismatch",
    pattern: /^IdempotentParameterMismatch$/,
    advice:
      "An apply before this one asked for the machine with other settings, and its instance is not visible: apply again in a few minutes, or with the settings of before",
  },
  {
    code: "aws/address-in-use",
    pattern: /^(InvalidIPAddress\.InUse|InvalidParameterCombination\.AddressInUse)$/,
    advice: "Another network interface of the subnet has the address: write an unused one",
  },
  {
    code: "aws/not-found",
    pattern: /(\.NotFound|NotFound|\.Unknown)$|^ParameterNotFound$/,
    advice: "It is not in this region or account: check the id in the spec, `region` and `profile`",
  },
  {
    code: "aws/no-answer",
    pattern: /^(TimeoutError|ECONNREFUSED|ENOTFOUND|ECONNRESET|EAI_AGAIN|EHOSTUNREACH|NetworkingError)$/,
    advice: "The API does not answer: check the network, `region` and `endpoint`",
  },
];

const other: Pick<Remedy, "code" | "advice"> = { code: "aws/failed", advice: "" };

export function awsFailure({ purpose, action, error }: FailedCall): HaplanError {
  if (error instanceof HaplanError) return error;
  const name = awsErrorCode(error);
  const { code, advice } = remedies.find(({ pattern }) => pattern.test(name)) ?? regionMissing(error) ?? other;
  const id = requestId(error);
  const said = `${action} failed: ${name === "" ? "" : `${name}: `}${errorText(error)}`;
  const lines = [`Cannot ${purpose}`, id === null ? said : `${said} (request id ${id})`, advice];
  return new HaplanError(code, lines.filter((line) => line !== "").join("\n"), { cause: error });
}

/** The SDK has no code for it. */
function regionMissing(error: unknown): Pick<Remedy, "code" | "advice"> | undefined {
  if (!/region is missing/i.test(errorText(error))) return undefined;
  return { code: "aws/no-region", advice: "Write `region` in the spec, or set AWS_REGION" };
}

/** AWS's code of the error, such as `InvalidInstanceID.NotFound`; that of the system for a lost connection; empty if none. */
export function awsErrorCode(error: unknown): string {
  if (!(error instanceof Error)) return "";
  const { Code, code } = error as { readonly Code?: unknown; readonly code?: unknown };
  if (typeof Code === "string") return Code;
  if (typeof code === "string") return code;
  return error.name === "Error" ? "" : error.name;
}

/** AWS's code of the error that is the cause of haplan's own. */
export function causeCode(error: unknown): string {
  return error instanceof HaplanError ? awsErrorCode(error.cause) : "";
}

function requestId(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  const { $metadata: facts } = error as { readonly $metadata?: { readonly requestId?: unknown } };
  return typeof facts?.requestId === "string" ? facts.requestId : null;
}

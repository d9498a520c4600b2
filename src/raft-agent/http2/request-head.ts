/** A request's header fields, validated according to RFC 9113 §8: the start of a stream. */
import type { FieldList } from "./hpack-decoder.ts";

/**
 * Immutable, and shared by all requests whose header block had the same bytes; `route` is where the layer above caches
 * what it derived from it, once for all of them.
 */
export class RequestHead {
  readonly fields: FieldList;
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  /** -1 when the client did not send it. */
  readonly contentLength: number;
  /** The reason why the request is malformed (§8.1.1), or undefined. */
  readonly problem: string | undefined;
  route: unknown = undefined;

  constructor(fields: FieldList) {
    this.fields = fields;
    this.problem = validateHead(fields);
    this.method = this.field(":method") ?? "";
    this.path = this.field(":path") ?? "";
    this.authority = this.field(":authority") ?? this.field("host") ?? "";
    this.contentLength = Number(this.field("content-length") ?? -1);
  }

  /** First value of a field, by its lowercase name. */
  field(name: string): string | undefined {
    const at = this.fields.names.indexOf(name);
    return at < 0 ? undefined : this.fields.values[at];
  }
}

/** Fields that concern an HTTP/1.1 connection and are not allowed here (§8.2.2). */
export const connectionFields: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);
const requestPseudoFields: readonly string[] = [":method", ":scheme", ":path", ":authority"];

/** The reason why trailers are malformed (§8.1), or undefined. */
export function validateTrailers(fields: FieldList): string | undefined {
  for (let i = 0; i < fields.names.length; i++) {
    const name = fields.names[i]!;
    if (name.startsWith(":")) return `pseudo-field ${name} in trailers`;
    const problem = validateField(name, fields.values[i]!);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function validateHead(fields: FieldList): string | undefined {
  const pseudo = new Map<string, string>();
  let regularSeen = false;
  for (let i = 0; i < fields.names.length; i++) {
    const name = fields.names[i]!;
    const value = fields.values[i]!;
    if (name.startsWith(":")) {
      if (regularSeen) return `pseudo-field ${name} after a regular field`;
      if (!requestPseudoFields.includes(name)) return `unknown pseudo-field ${name}`;
      if (pseudo.has(name)) return `pseudo-field ${name} twice`;
      pseudo.set(name, value);
      if (!isFieldValue(value)) return `value of ${name} has forbidden characters`;
      continue;
    }
    regularSeen = true;
    const problem = validateField(name, value);
    if (problem !== undefined) return problem;
  }
  return validatePseudoFields(pseudo) ?? validateContentLength(fields);
}

function validatePseudoFields(pseudo: ReadonlyMap<string, string>): string | undefined {
  const method = pseudo.get(":method");
  if (method === undefined || method === "") return ":method is missing";
  if (method === "CONNECT") {
    if (pseudo.has(":scheme") || pseudo.has(":path")) return "CONNECT with :scheme or :path";
    return pseudo.has(":authority") ? undefined : "CONNECT without :authority";
  }
  if (!pseudo.get(":scheme")) return ":scheme is missing";
  const path = pseudo.get(":path");
  if (path === undefined || path === "") return ":path is missing";
  return path.startsWith("/") || (path === "*" && method === "OPTIONS") ? undefined : ":path does not start with /";
}

function validateContentLength(fields: FieldList): string | undefined {
  let seen: string | undefined;
  for (let i = 0; i < fields.names.length; i++) {
    if (fields.names[i] !== "content-length") continue;
    const value = fields.values[i]!;
    if (!/^\d{1,15}$/.test(value)) return "content-length is not a number";
    if (seen !== undefined && seen !== value) return "content-length twice with different values";
    seen = value;
  }
  return undefined;
}

function validateField(name: string, value: string): string | undefined {
  if (!isFieldName(name)) return "field name is empty, not lower case or has forbidden characters";
  if (!isFieldValue(value)) return `value of ${name} has forbidden characters`;
  if (connectionFields.has(name)) return `connection-specific field ${name}`;
  if (name === "te" && value !== "trailers") return "te other than trailers";
  return undefined;
}

/** §8.2.1: printable ASCII without upper case, space and colon. */
function isFieldName(name: string): boolean {
  return /^[!-9;-@[-~]+$/.test(name);
}

/** §8.2.1: no NUL, CR, LF anywhere, no space or tab at either end. */
function isFieldValue(value: string): boolean {
  const last = value.length - 1;
  for (let i = 0; i <= last; i++) {
    const code = value.charCodeAt(i);
    if (code === 0 || code === 10 || code === 13) return false;
    if ((code === 32 || code === 9) && (i === 0 || i === last)) return false;
  }
  return true;
}

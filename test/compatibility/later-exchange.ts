/**
 * The parts of a JSON gateway response that must equal those of an etcd 3.6 and 3.7, whose gateway differs from 3.4's.
 */
import { comparableExchange, type Exchange, type HttpRequest } from "./http-exchange.ts";

const notFound = 404;
const notAllowed = [405, 501];
const redirects = [301, 307];

/** As docs/etcd-differences.md lists them: requests to which the two respond differently. */
export function isReadOtherwise({ body, path }: HttpRequest): boolean {
  const isRepeated = /("\w+"):(?=([\s\S]*?),\s*\1:\2)/.test(body) || /("\w+":[^,{}]*)\s*,\s*\1/.test(body);
  const isUnknownName =
    /"(sort_order|sort_target|result|target|permType|perm_type|alarm|filters)":\s*\[?"[A-Za-z0-9]*[a-z0-9]/.test(body);
  const isNoObject = /^\s*null\s*$|"NONSENSE"/.test(body);
  const isNoUtf8 = body.includes("\u00ff\u00c0");
  const isProgressAtOnce = path.endsWith("/watch") && /progress_?request/i.test(body);
  return isRepeated || isUnknownName || isNoObject || isNoUtf8 || isProgressAtOnce;
}

/** Since 3.6, responses for an unknown path or method are JSON, and a redirect keeps the method. */
export function laterExchange(request: HttpRequest, answer: Exchange): unknown {
  if (answer.status === notFound && !answer.body.includes("etcdserver")) return "no such path";
  if (notAllowed.includes(answer.status)) return "no such method";
  if (redirects.includes(answer.status)) return `redirect to ${answer.headers["location"]}`;
  return withoutOlderFields(comparableExchange(request, answer));
}

/** `error` beside `message` is 3.4's; and the reason why a body is not a message has the words of another library. */
function withoutOlderFields(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutOlderFields);
  if (typeof value !== "object" || value === null) return value;
  const isError = "code" in value && "message" in value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !(isError && name === "error"))
      .map(([name, inner]) => [
        name,
        name === "message" && /^proto:\s|^<no message>$/.test(String(inner))
          ? "<no message>"
          : withoutOlderFields(inner),
      ]),
  );
}

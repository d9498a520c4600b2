/** What has to be equal of an answer of the JSON gateway beside an etcd 3.6 and 3.7, whose gateway is another than 3.4's. */
import { comparableExchange, type Exchange, type HttpRequest } from "./http-exchange.ts";

const notFound = 404;
const notAllowed = [405, 501];
const redirects = [301, 307];

/** As docs/etcd-differences.md lists them: requests that leave the two with other answers. */
export function isReadOtherwise({ body, path }: HttpRequest): boolean {
  const isRepeated = /("\w+"):(?=([\s\S]*?),\s*\1:\2)/.test(body) || /("\w+":[^,{}]*)\s*,\s*\1/.test(body);
  const isUnknownName =
    /"(sort_order|sort_target|result|target|permType|perm_type|alarm|filters)":\s*\[?"[A-Za-z0-9]*[a-z0-9]/.test(body);
  const isNoObject = /^\s*null\s*$|"NONSENSE"/.test(body);
  const isNoUtf8 = body.includes("\u00ff\u00c0");
  const isProgressAtOnce = path.endsWith("/watch") && /progress_?request/i.test(body);
  return isRepeated || isUnknownName || isNoObject || isNoUtf8 || isProgressAtOnce;
}

/** Who says that there is no such path or method says it as JSON since 3.6, and a redirect keeps the method. */
export function laterExchange(request: HttpRequest, answer: Exchange): unknown {
  if (answer.status === notFound && !answer.body.includes("etcdserver")) return "no such path";
  if (notAllowed.includes(answer.status)) return "no such method";
  if (redirects.includes(answer.status)) return `redirect to ${answer.headers["location"]}`;
  return withoutOlderFields(comparableExchange(request, answer));
}

/** `error` beside `message` is 3.4's; and why a body is no message is said in the words of another library. */
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

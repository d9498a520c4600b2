/**
 * Random HTTP requests to the JSON gateway, the same for the same seed: for every method, bodies that follow its
 * schema, in all spellings and with all the mistakes that clients make, now and then with unusual headers or paths.
 *
 * Requests on which the two are known to differ are left out (docs/etcd-differences.md, "JSON"), since they would
 * leave them in different states, and so are those that crash an etcd or cost it its quorum.
 */
import { type DescField, type DescMessage, type DescMethod, ScalarType } from "@bufbuild/protobuf";
import { createRandom, type Random } from "../../src/base/random.ts";
import { createJsonRoutes } from "../../src/raft-agent/gateway/json-routes.ts";
import { type HttpRequest, post } from "./http-exchange.ts";
import type { RandomCall } from "./random-kv.ts";

const kvPaths: Readonly<Record<string, string>> = {
  "KV/Put": "/v3/kv/put",
  "KV/Range": "/v3/kv/range",
  "KV/DeleteRange": "/v3/kv/deleterange",
  "KV/Txn": "/v3/kv/txn",
  "KV/Compact": "/v3/kv/compaction",
};

/** A call as the gateway accepts it. */
export function kvHttpRequest({ method, body }: RandomCall): HttpRequest {
  return post(kvPaths[method]!, JSON.stringify(body));
}

/**
 * Newer than an etcd 3.4, stricter here (permissions), about addresses or another store, blocking, showing leases that
 * are about to expire, or changing everything that follows.
 */
const leftOut =
  /\/(downgrade|status|hash|hashkv|snapshot|observe|lock\/lock|campaign|member\/list|member\/update|role\/grant|enable|leases)$/;

const routes: readonly (readonly [string, DescMethod])[] = [...createJsonRoutes()].filter(
  ([path]) => !leftOut.test(path),
);

export function randomHttpRequests(seed: number, count: number): HttpRequest[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, () => randomHttpRequest(random));
}

/** True in one of `times` cases. */
const rarely = (random: Random, times: number): boolean => random.below(times) === 0;
const pick = <T>(random: Random, from: readonly T[]): T => from[random.below(from.length)]!;

function randomHttpRequest(random: Random): HttpRequest {
  const [path, method] = pick(random, routes);
  const isStream = method.methodKind === "bidi_streaming";
  const body = isStream ? streamBody(random, method.input) : randomObject({ random, mistakes: true }, method.input, 0);
  return {
    method: rarely(random, 30) ? pick(random, ["GET", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH"]) : "POST",
    path: rarely(random, 15) ? oddPath(random, path) : path,
    headers: Object.fromEntries(Array.from({ length: random.below(3) }, () => pick(random, headers))),
    // The rest of a grant would be a lease that expires during the requests.
    body: !isStream && path !== "/v3/lease/grant" && rarely(random, 12) ? oddBody(random, body) : body,
    isStream,
  };
}

/** Without mistakes: unreadable input ends a stream here, and an etcd ignores it. */
function streamBody(random: Random, message: DescMessage): string {
  const one = (): string => randomObject({ random, mistakes: false }, message, 0);
  return Array.from({ length: 1 + random.below(3) }, one).join(pick(random, ["", "\n", " "]));
}

const headers: readonly (readonly [string, string])[] = [
  ["Content-Type", "application/json"],
  ["Content-Type", "text/plain; charset=latin1"],
  ["Content-Type", "application/x-www-form-urlencoded"],
  ["Accept", "application/json"],
  ["Accept", "text/html, */*;q=0.1"],
  ["Accept-Encoding", "gzip, br"],
  ["Origin", "http://browser.example"],
  ["Grpc-Timeout", "5S"],
  ["Grpc-Timeout", "8H"],
  ["Grpc-Timeout", "5x"],
  ["Token", "this-is-no-metadata"],
  ["Grpc-Metadata-Hasleader", "true"],
  ["Grpc-Metadata-Anything", "at all"],
  ["X-Forwarded-For", "192.0.2.1"],
];

function oddPath(random: Random, path: string): string {
  const [first, ...rest] = path.slice(1).split("/");
  return pick(random, [
    `${path}/`,
    `${path}x`,
    `/${path}`,
    path.replace(/\/(\w+)$/, "//$1"),
    path.replace(/\/(\w+)$/, "/./$1"),
    `${path}?key=Yg%3D%3D&limit=1`,
    `${path}?`,
    `/v3beta/${rest.join("/")}`,
    `/v3alpha/${rest.join("/")}`,
    `/${first}/%6${rest.join("/").charCodeAt(0).toString(16)[1]}${rest.join("/").slice(1)}`,
    path.toUpperCase(),
    "/v3/",
    "/v3/kv",
    "/version/",
  ]);
}

function oddBody(random: Random, body: string): string {
  return pick(random, [
    "",
    " \n",
    "{}",
    "null",
    "[]",
    "[{}]",
    '"x"',
    "5",
    "true",
    `\n\t ${body}`,
    `\u00ef\u00bb\u00bf${body}`,
    `\u00a0${body}`,
    `${body}${body}`,
    `${body} trailing`,
    `${body}}`,
    body.slice(0, -1),
    body.slice(0, random.below(body.length)),
    body.replace("{", '{"unknown":"\u00ff\u00c0",'),
    body.replaceAll('"', "'"),
    `/* words */${body}`,
    `${body}// words`,
    body.replace("{", "{,"),
    body.replace(/}$/, ",}"),
    `{"unknown":${"[".repeat(500)}${"]".repeat(500)}}`,
    body.replace(":", ":\u0000"),
  ]);
}

/** Always correct: otherwise an etcd 3.4 crashes, an alarm is raised, or a lease expires during the requests. */
const sensitive = new Set(["sort_order", "sort_target", "action", "TTL"]);

/** Fields that an etcd 3.4 does not have, or interprets differently. */
const differingFields = new Set(["hashedPassword", "progress_request"]);

type Lots = { readonly random: Random; readonly mistakes: boolean };

function randomObject(lots: Lots, message: DescMessage, depth: number): string {
  const { random, mistakes } = lots;
  const members: string[] = [];
  const chosenOf = new Map(message.oneofs.map((oneof) => [oneof, pick(random, oneof.fields)]));
  for (const field of message.fields) {
    if (differingFields.has(field.name)) continue;
    if (field.oneof !== undefined && chosenOf.get(field.oneof) !== field) continue;
    if (depth > 3 && field.message !== undefined) continue;
    if (rarely(random, 4) && !sensitive.has(field.name)) continue;
    const name = JSON.stringify(rarely(random, 3) ? field.jsonName : field.name);
    const isOdd = mistakes && rarely(random, 30) && !sensitive.has(field.name);
    members.push(`${name}:${isOdd ? oddValue(random, field) : randomValue(lots, field, depth)}`);
    if (rarely(random, 60)) members.push(members.at(-1)!);
  }
  if (rarely(random, 15)) members.push(`"unknown":${pick(random, ["1", "null", '{"a":[1,"}"]}', '"\\u007d"'])}`);
  return `{${members.join(rarely(random, 5) ? " ,\r\n" : ",")}}`;
}

/** Of the wrong type almost everywhere. */
const oddValues: readonly string[] = [
  ...["null", "true", '""', '"x"', '"Y"', '"YQ="', '"Y Q=="', '"YQ==\\n"', '"!!!!"', "[]", "{}", '["a"]', "[null]"],
  ...["1.5", "-1", '"-1"', '"1.5"', '"0x10"', '"NaN"', "NaN", "01", "+1", ".5", "1.", "- 1"],
  ...["9223372036854775807", "9223372036854775808", "-9223372036854775808", '"9223372036854775807"'],
  ...["18446744073709551615", "18446744073709551616", '"18446744073709551615"', "9007199254740993", "2147483648"],
  ...["1e400", '"1e400"', "123456789012345678901234567890", '"\\x"', '"\t"', "undefined"],
];

/**
 * Base64 without padding or in the other alphabet is accepted since etcd 3.6, an array as bytes only before; an etcd
 * 3.4 fails on `null` in a list.
 */
function oddValue(random: Random, field: DescField): string {
  const unlike =
    field.fieldKind === "list" ? /null\]/ : field.scalar === ScalarType.BYTES ? /^("[\w+-]{2,}"|\[.*)$/ : /$^/;
  return pick(
    random,
    oddValues.filter((value) => !unlike.test(value)),
  );
}

function randomValue(lots: Lots, field: DescField, depth: number): string {
  const { random } = lots;
  if (field.fieldKind !== "list") return randomItem(lots, field, depth);
  const count = field.name === "compare" ? random.below(2) : random.below(3);
  return `[${Array.from({ length: count }, () => randomItem(lots, field, depth)).join(",")}]`;
}

function randomItem(lots: Lots, field: DescField, depth: number): string {
  const { random, mistakes } = lots;
  if (field.message !== undefined) return randomObject(lots, field.message, depth + 1);
  if (field.enum !== undefined) {
    // No alarm is raised: every write after it would be rejected.
    const values = field.enum.values.filter(({ name }) => name !== "ACTIVATE");
    const { name, number } = pick(random, values);
    if (mistakes && rarely(random, 25) && !sensitive.has(field.name))
      return pick(random, ['"NONSENSE"', `"${name.toLowerCase()}"`, `"${number}"`, "77", "-1"]);
    return rarely(random, 3) ? String(number) : JSON.stringify(name);
  }
  switch (field.scalar) {
    case ScalarType.BYTES:
      return JSON.stringify(Buffer.from(pick(random, bytes[field.name] ?? keys), "latin1").toString("base64"));
    case ScalarType.STRING:
      return JSON.stringify(pick(random, ["somebody", "other", "r\u00c3\u00b6le", "no-url"]));
    case ScalarType.BOOL:
      return pick(random, ["true", "false"]);
    default: {
      const number = pick(random, numbers[field.name] ?? ["0", "1", "2", "5", "-1", "1000000"]);
      return rarely(random, 2) ? `"${number}"` : number;
    }
  }
}

const keys = ["a", "b", "c", "aa", "k\u00ff"];
const bytes: Readonly<Record<string, readonly string[]>> = { range_end: ["", "\0", "b", "d"], value: ["", "1", "22"] };
const ids = ["404", "500", "501", "7587862094293712906"];
const numbers: Readonly<Record<string, readonly string[]>> = {
  ID: ids,
  lease: ["0", ...ids],
  start_revision: ["0", "1", "3", "1000000"],
  TTL: ["600", "700", "9000000001"],
  limit: ["0", "1", "2", "-1"],
};

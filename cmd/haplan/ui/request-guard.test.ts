import { describe, expect, it } from "vitest";
import { type GuardedRequest, guardRequest } from "./request-guard.ts";

const guard = { token: "secret", port: 4000 };
const own: GuardedRequest = { method: "GET", target: "/secret/", host: "127.0.0.1:4000", origin: undefined };

describe("the guard serves", () => {
  it.each<[string, Partial<GuardedRequest>, string]>([
    ["the page", {}, ""],
    ["a file", { target: "/secret/page.css" }, "page.css"],
    ["a path without its query", { target: "/secret/plan.json?now" }, "plan.json"],
    ["localhost", { host: "LOCALHOST:4000" }, ""],
    ["HEAD", { method: "HEAD" }, ""],
    ["its own page's requests", { origin: "http://127.0.0.1:4000" }, ""],
  ])("%s", (_, change, path) => {
    expect(guardRequest(guard, { ...own, ...change })).toEqual({ kind: "serve", path });
  });
});

describe("the guard rejects", () => {
  it.each<[string, Partial<GuardedRequest>, number]>([
    ["no token", { target: "/" }, 403],
    ["no token before a file", { target: "/page.css" }, 403],
    ["another token", { target: "/secreT/" }, 403],
    ["a longer token", { target: "/secret2/" }, 403],
    ["the token in the query", { target: "/?token=secret" }, 403],
    ["an encoded slash", { target: "/secret%2f" }, 403],
    ["a target with a host of its own", { target: "http://127.0.0.1:4000/secret/" }, 403],
    ["a foreign host (DNS rebinding)", { host: "evil.example:4000" }, 403],
    ["a host that begins as its own", { host: "127.0.0.1:4000.evil.example" }, 403],
    ["another port", { host: "127.0.0.1:4001" }, 403],
    ["no port", { host: "127.0.0.1" }, 403],
    ["no host", { host: undefined }, 403],
    ["a page of another site", { origin: "https://evil.example" }, 403],
    ["a page without an origin", { origin: "null" }, 403],
    ["POST", { method: "POST" }, 405],
    ["OPTIONS", { method: "OPTIONS" }, 405],
  ])("%s", (_, change, status) => {
    expect(guardRequest(guard, { ...own, ...change })).toMatchObject({ kind: "reject", status });
  });
});

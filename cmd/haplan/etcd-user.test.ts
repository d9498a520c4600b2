import { expect, it } from "vitest";
import { readEtcdUser } from "./etcd-user.ts";
import { RefusalError } from "./refusal.ts";

const read = (user?: string, password?: string) =>
  readEtcdUser({
    ...(user === undefined ? {} : { HAPLAN_ETCD_USER: user }),
    ...(password === undefined ? {} : { HAPLAN_ETCD_PASSWORD: password }),
  });

it.each([
  ["nothing", undefined, undefined, null],
  ["an empty name", "", "secret", null],
  ["a name and a password", "root", "se:cret", { name: "root", password: "se:cret" }],
  ["both in one", "root:se:cret", undefined, { name: "root", password: "se:cret" }],
  ["a name with a colon", "a:b", "secret", { name: "a:b", password: "secret" }],
])("%s is read from the environment as by etcdctl", (_, user, password, expected) => {
  expect(read(user, password)).toEqual(expected);
});

it.each([
  ["root", undefined],
  ["root:", undefined],
  ["root", ""],
  [":secret", undefined],
])("incomplete credentials are refused (%s, %s)", (user, password) => {
  expect(() => read(user, password)).toThrow(RefusalError);
});

import { expect, it } from "vitest";
import { canonicalAddress, urlHost } from "./ip-address.ts";

it.each([
  ["10.0.0.1", "10.0.0.1"],
  ["FD97::000B", "fd97::b"],
  ["fe80::1%eth0", "fe80::1%eth0"],
  ["::FFFF:10.0.0.1", "::ffff:a00:1"],
  ["m1.example.com", "m1.example.com"],
])("the canonical form of %s is %s", (address, canonical) => {
  expect(canonicalAddress(address)).toBe(canonical);
});

it.each([
  ["http://10.0.0.1:2379", "10.0.0.1"],
  ["https://[FD97::000B]:2379", "fd97::b"],
  ["https://m1.example.com", "m1.example.com"],
])("the host of %s is %s", (url, host) => {
  expect(urlHost(url)).toBe(host);
});

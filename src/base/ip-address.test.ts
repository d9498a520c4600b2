import { expect, it } from "vitest";
import { canonicalAddress } from "./ip-address.ts";

it.each([
  ["10.0.0.1", "10.0.0.1"],
  ["FD97::000B", "fd97::b"],
  ["fe80::1%eth0", "fe80::1%eth0"],
  ["::FFFF:10.0.0.1", "::ffff:a00:1"],
  ["m1.example.com", "m1.example.com"],
])("the canonical form of %s is %s", (address, canonical) => {
  expect(canonicalAddress(address)).toBe(canonical);
});

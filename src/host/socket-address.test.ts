import { expect, it } from "vitest";
import { decodeSocketAddress, encodeSocketAddress } from "./socket-address.ts";

it.each([
  ["127.0.0.1", "0100007F"],
  ["10.97.66.11", "0B42610A"],
  ["::1", "00000000000000000000000001000000"],
  ["fd97:6470:42::b", "706497FD00004200000000000B000000"],
])("%s is %s in the table of sockets", (address, hex) => {
  expect(encodeSocketAddress(address)).toBe(hex);
  expect(decodeSocketAddress(hex)).toBe(address);
});

it.each(["m1.example.com", "10.0.0", "10.0.0.256", "1:2:3", "::1::"])("%s is in no table of sockets", (text) => {
  expect(encodeSocketAddress(text)).toBeNull();
});

it("an IPv4 address on a socket of IPv6 is decoded as IPv4, and all addresses as null", () => {
  expect(decodeSocketAddress("0000000000000000FFFF00000B42610A")).toBe("10.97.66.11");
  expect(decodeSocketAddress("00000000")).toBeNull();
  expect(decodeSocketAddress("00000000000000000000000000000000")).toBeNull();
});

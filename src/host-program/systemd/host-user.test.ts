import { expect, it } from "vitest";
import { hasGroup } from "./host-user.ts";

it.each([
  ["root:x:0:\nhaplan:x:998:\n", true],
  ["haplan:x:998:admin", true],
  ["root:x:0:haplan\nhaplan-admins:x:5:\nmy-haplan:x:6:\n", false],
  ["", false],
])("the user of units gets the group of its name where there is one: %j", (groups, there) => {
  expect(hasGroup(groups)).toBe(there);
});

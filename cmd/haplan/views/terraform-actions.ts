/** Terraform's words for what happens to a resource. */
import type { ChangeAction } from "../../../src/plan/plan.ts";

export const terraformActions: Readonly<Record<ChangeAction, readonly string[]>> = {
  noop: ["no-op"],
  create: ["create"],
  update: ["update"],
  delete: ["delete"],
  deleteThenCreate: ["delete", "create"],
  createThenDelete: ["create", "delete"],
};

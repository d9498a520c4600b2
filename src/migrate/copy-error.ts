import { HaplanError } from "../base/haplan-error.ts";

/** The copy is not what it has to be: it is made anew from a snapshot. */
export class DivergedError extends HaplanError {
  constructor(message: string) {
    super("migrate/diverged", message);
  }
}

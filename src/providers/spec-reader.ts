/** The reader of specs for all providers. */
import { createSpecReader, type SpecReader } from "../spec/spec-reader.ts";
import { providerSchemas } from "./registry.ts";

export const specReader: SpecReader = createSpecReader(providerSchemas);

/** The reader of specs for all providers that there are. */
import { createSpecReader, type SpecReader } from "../spec/spec-reader.ts";
import { providerSchemas } from "./registry.ts";

export const specReader: SpecReader = createSpecReader(providerSchemas);

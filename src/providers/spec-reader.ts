/** The reader of specs for all providers that there are. */
import { createSpecReader, type SpecReader } from "../spec/spec-reader.ts";
import { providerSchemas } from "./provider-schemas.ts";

export const specReader: SpecReader = createSpecReader(Object.values(providerSchemas));

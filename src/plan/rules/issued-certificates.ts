/**
 * The certificates that a plan hands to the programs that use them, by name. The value is the id of the step that
 * issues it; null for one that was issued by an earlier apply, which was interrupted before it was handed over.
 */
export type IssuedCertificates = ReadonlyMap<string, string | null>;

/** The id of a membership change. Random, so that a clock that was set back cannot produce a duplicate. */
export type ChangeId = string;

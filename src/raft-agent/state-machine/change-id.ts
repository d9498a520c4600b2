/** The id of a change of members. Chosen at random, so that a clock that was set back cannot make one twice. */
export type ChangeId = string;

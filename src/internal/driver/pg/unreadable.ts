/**
 * A value of an answer that is not written as this driver reads it.
 */

/** Says what is wrong and what to do, never the value. */
export class Unreadable extends Error {}

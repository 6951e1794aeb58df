/**
 * A value of an answer that is not written as this driver reads it.
 *
 * @since 0.1.0
 */

/**
 * Says what is wrong and what to do, never the value.
 *
 * @since 0.1.0
 * @category errors
 */
export class Unreadable extends Error {}

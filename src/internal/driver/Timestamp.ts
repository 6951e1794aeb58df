/**
 * A `Date` that keeps the microseconds a database has beyond the millisecond.
 */

/**
 * A moment with microseconds. Drivers give it where a value has them, and a plain `Date` where it has none; either
 * is written back as it was read.
 *
 * @since 0.1.0
 * @category models
 */
export class Timestamp extends Date {
  /** Microseconds beyond the millisecond, 0 to 999; also before 1970 they count forwards. */
  readonly microseconds: number

  /**
   * @param millis milliseconds since 1970-01-01 UTC, rounded down
   * @param microseconds microseconds beyond them, 0 to 999
   */
  constructor(millis: number, microseconds: number) {
    super(millis)
    this.microseconds = microseconds
  }

  /** With six decimals, so that JSON keeps them and Effect's `Equal` tells two such dates apart. */
  override toISOString(): string {
    return `${super.toISOString().slice(0, -1)}${String(this.microseconds).padStart(3, "0")}Z`
  }
}

/**
 * The microseconds beyond the millisecond of any date: 0 for a plain one. By the property, so that a `Timestamp` of
 * another copy of this module counts too.
 */
export const microsecondsOf = (date: Date): number =>
  "microseconds" in date && typeof date.microseconds === "number" ? date.microseconds : 0

/**
 * A `Date` with everything that `datetime2` and `datetimeoffset` have beyond it.
 */
import { Timestamp } from "../Timestamp.js"

/**
 * A moment with units of 100 ns, and with the offset it was written with. Given where a value has either, and written
 * back as it was read.
 *
 * @since 0.1.0
 * @category models
 */
export class Moment extends Timestamp {
  /** Units of 100 ns beyond the microsecond, 0 to 9. */
  readonly hundreds: number
  /** The offset of a `datetimeoffset` in minutes east of UTC; `undefined` for a `datetime2`. */
  readonly offset: number | undefined

  /**
   * @param millis milliseconds since 1970-01-01 UTC, rounded down
   * @param microseconds microseconds beyond them, 0 to 999
   * @param hundreds units of 100 ns beyond them, 0 to 9
   * @param offset minutes east of UTC
   */
  constructor(millis: number, microseconds: number, hundreds: number, offset: number | undefined) {
    super(millis, microseconds)
    this.hundreds = hundreds
    this.offset = offset
  }

  /** In UTC, with seven decimals where there are so many; the offset it was written with is not in it. */
  override toISOString(): string {
    const text = super.toISOString()
    return this.hundreds === 0 ? text : `${text.slice(0, -1)}${this.hundreds}Z`
  }
}

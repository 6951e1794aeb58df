/** Figures in a readable form. */
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 })
const tenth = new Intl.NumberFormat("en", { maximumFractionDigits: 1 })

export const count = (n: number): string => whole.format(n)

/** A number per second. */
export const rate = (n: number | undefined): string =>
  n === undefined ? "-" : n >= 100 ? whole.format(n) : tenth.format(n)

/** A duration of a database: a thousandth of a millisecond and an hour are both possible. */
export const duration = (millis: number): string =>
  millis < 0.1
    ? "< 0.1 ms"
    : millis < 10
    ? `${tenth.format(millis)} ms`
    : millis < 1000
    ? `${whole.format(millis)} ms`
    : millis < 60_000
    ? `${tenth.format(millis / 1000)} s`
    : age(millis)

/** How long ago, or how long since. */
export const age = (millis: number): string => {
  const seconds = Math.max(Math.floor(millis / 1000), 0)
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  return seconds < 60
    ? `${seconds} s`
    : minutes < 60
    ? `${minutes} min ${seconds % 60} s`
    : hours < 48
    ? `${hours} h ${minutes % 60} min`
    : `${Math.floor(hours / 24)} days`
}

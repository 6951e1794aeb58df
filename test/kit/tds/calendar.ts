/**
 * Dates and times as T-SQL counts them: days from 0001-01-01 in the Gregorian calendar, and times of day in units of
 * 100 ns ("ticks").
 *
 * Exports: `parseDate`, `formatDate`, `parseTime`, `formatTime`, `parseDateTime`, `formatDateTime`, `parseOffset`,
 * `formatOffset`, `ticksPerDay`.
 */

export const ticksPerDay = 864_000_000_000

const dayMillis = 86_400_000
/** 0001-01-01 in JavaScript's count. */
const firstDay = (() => {
  const date = new Date(0)
  date.setUTCFullYear(1, 0, 1)
  return date.getTime()
})()

const pad = (value: number, length: number): string => String(value).padStart(length, "0")

/** Days of `YYYY-MM-DD`, or NaN where there is no such day. */
export const parseDate = (text: string): number => {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text)
  if (match === null) return Number.NaN
  const date = new Date(0)
  date.setUTCFullYear(Number(match[1]), Number(match[2]) - 1, Number(match[3]))
  if (date.getUTCMonth() !== Number(match[2]) - 1 || date.getUTCDate() !== Number(match[3])) return Number.NaN
  return (date.getTime() - firstDay) / dayMillis
}

export const formatDate = (days: number): string => {
  const date = new Date(firstDay + days * dayMillis)
  return `${pad(date.getUTCFullYear(), 4)}-${pad(date.getUTCMonth() + 1, 2)}-${pad(date.getUTCDate(), 2)}`
}

/** Ticks of `HH:MM[:SS[.fffffff]]`, or NaN. */
export const parseTime = (text: string): number => {
  const match = /^(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,7}))?)?$/.exec(text)
  if (match === null) return Number.NaN
  const [hours, minutes, seconds] = [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)]
  if (hours > 23 || minutes > 59 || seconds > 59) return Number.NaN
  return ((hours * 60 + minutes) * 60 + seconds) * 10_000_000 + Number((match[4] ?? "").padEnd(7, "0"))
}

export const formatTime = (ticks: number): string => {
  const seconds = Math.floor(ticks / 10_000_000)
  return `${pad(Math.floor(seconds / 3600), 2)}:${pad(Math.floor(seconds / 60) % 60, 2)}:${pad(seconds % 60, 2)}.${
    pad(ticks % 10_000_000, 7)
  }`
}

export const parseDateTime = (text: string): { readonly days: number; readonly ticks: number } => ({
  days: parseDate(text.slice(0, 10)),
  ticks: text.length === 10 ? 0 : parseTime(text.slice(11))
})

/** A time of day of 24 hours or more (by rounding) is one of the next day. */
export const formatDateTime = (days: number, ticks: number): string => {
  const over = Math.floor(ticks / ticksPerDay)
  return `${formatDate(days + over)}T${formatTime(ticks - over * ticksPerDay)}`
}

/** Minutes of `+HH:MM`, or NaN. */
export const parseOffset = (text: string): number => {
  const match = /^([+-])(\d{2}):(\d{2})$/.exec(text)
  if (match === null) return Number.NaN
  const minutes = Number(match[2]) * 60 + Number(match[3])
  return minutes > 840 ? Number.NaN : match[1] === "-" ? -minutes : minutes
}

export const formatOffset = (minutes: number): string =>
  `${minutes < 0 ? "-" : "+"}${pad(Math.floor(Math.abs(minutes) / 60), 2)}:${pad(Math.abs(minutes) % 60, 2)}`

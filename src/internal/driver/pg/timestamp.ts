/**
 * Dates as PostgreSQL writes and reads them: always as UTC, never by way of the process's time zone.
 */
import { Timestamp } from "../Timestamp.js"
import { Unreadable } from "./unreadable.js"

export { Timestamp }

/** 400 years have the same number of days everywhere. */
const cycle = 146097 * 86400000

const pattern =
  /^(\d{4,})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:([+-])(\d\d)(?::(\d\d)(?::(\d\d))?)?|Z)?)?( BC)?$/

const digit = (text: string, at: number): number => text.charCodeAt(at) - 48
const pair = (text: string, at: number): number => digit(text, at) * 10 + digit(text, at + 1)

/**
 * What nearly all are: `YYYY-MM-DD HH:MM:SS`, with milliseconds and `+00` or without, after the year 99. `NaN` for any
 * other. Half as much work as the pattern.
 */
const parseUsual = (text: string): number => {
  const { length } = text
  const hasZone = text.charCodeAt(length - 3) === 43
  const end = hasZone ? length - 3 : length
  if (
    (end !== 19 && end !== 23) || text.charCodeAt(4) !== 45 || text.charCodeAt(10) !== 32 ||
    (hasZone && (text.charCodeAt(length - 2) !== 48 || text.charCodeAt(length - 1) !== 48)) ||
    (end === 23 && text.charCodeAt(19) !== 46)
  ) {
    return NaN
  }
  const year = pair(text, 0) * 100 + pair(text, 2)
  return year < 100 ? NaN : Date.UTC(
    year,
    pair(text, 5) - 1,
    pair(text, 8),
    pair(text, 11),
    pair(text, 14),
    pair(text, 17),
    end === 23 ? pair(text, 20) * 10 + digit(text, 22) : 0
  )
}

/**
 * Reads a `date`, `timestamp` or `timestamptz` in ISO style: one without a zone is UTC. `infinity` is a number. A text
 * that lies beyond what a `Date` can hold is given back as it is; one of another style is refused.
 */
export const parse = (text: string): Date | number | string => {
  const usual = parseUsual(text)
  if (!Number.isNaN(usual)) return new Date(usual)
  const match = pattern.exec(text)
  if (match === null) {
    if (text === "infinity") return Infinity
    if (text === "-infinity") return -Infinity
    throw new Unreadable("a date in another style than ISO: leave DateStyle at ISO")
  }
  const year = match[12] === undefined ? Number(match[1]) : 1 - Number(match[1])
  const fraction = match[7] === undefined ? 0 : Number(match[7].padEnd(6, "0"))
  const microseconds = fraction % 1000
  // `Date.UTC` reads years 0 to 99 as 1900 to 1999.
  const isEarly = year >= 0 && year < 100
  let millis = Date.UTC(
    isEarly ? year + 400 : year,
    Number(match[2]) - 1,
    Number(match[3]),
    Number(match[4] ?? 0),
    Number(match[5] ?? 0),
    Number(match[6] ?? 0),
    (fraction - microseconds) / 1000
  ) - (isEarly ? cycle : 0)
  if (match[8] !== undefined) {
    const offset = (Number(match[9]) * 3600 + Number(match[10] ?? 0) * 60 + Number(match[11] ?? 0)) * 1000
    millis += match[8] === "-" ? offset : -offset
  }
  const date = microseconds === 0 ? new Date(millis) : new Timestamp(millis, microseconds)
  return Number.isNaN(date.getTime()) ? text : date
}

const two = (value: number): string => value < 10 ? `0${value}` : String(value)

/** Writes a valid `Date` as PostgreSQL reads it for `date`, `timestamp` and `timestamptz` alike. */
export const format = (date: Date): string => {
  const year = date.getUTCFullYear()
  if (year > 0 && year < 10000) return date.toISOString()
  const micros = date instanceof Timestamp ? date.microseconds : 0
  const digits = String(year > 0 ? year : 1 - year).padStart(4, "0")
  const fraction = String(date.getUTCMilliseconds() * 1000 + micros).padStart(6, "0")
  return `${digits}-${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())} ` +
    `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}.${fraction}+00` +
    (year > 0 ? "" : " BC")
}

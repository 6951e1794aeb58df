/**
 * Intervals in every style that PostgreSQL writes them: a pooler may leave the style to the server.
 */
import { types } from "pg"
import { Unreadable } from "./unreadable.js"

// `pg` types the oid as an enumeration of the built-in types; 1186 is that of `interval`.
const usual = types.getTypeParser(1186, "text") as (text: string) => Interval

interface Interval {
  years: number
  months: number
  days: number
  hours: number
  minutes: number
  seconds: number
  milliseconds: number
}

const units: ReadonlyArray<readonly [RegExp, keyof Interval]> = [
  [/^years?$/, "years"],
  [/^mons?$/, "months"],
  [/^days?$/, "days"],
  [/^hours?$/, "hours"],
  [/^mins?$/, "minutes"],
  [/^secs?$/, "seconds"]
]

/** Whole seconds, and the rest as milliseconds, without the error of a subtraction. */
const splitSeconds = (text: string): readonly [seconds: number, milliseconds: number] => {
  const [whole, fraction = ""] = text.replace(/^[+-]/, "").split(".")
  const sign = text.startsWith("-") ? -1 : 1
  return [sign * Number(whole), sign * Number(fraction.padEnd(6, "0").slice(0, 6)) / 1000]
}

/** The parts as `pg` gives them: of its class, without those that are zero. */
const make = (parts: Partial<Interval>): Interval => {
  const interval = usual("")
  for (const [name, value] of Object.entries(parts)) if (value !== 0) interval[name as keyof Interval] = value
  return interval
}

/** `@ 1 year 2 mons -3 days 4 hours 5 mins 6.7 secs ago` */
const verbose = (text: string): Interval | undefined => {
  const parts: Partial<Interval> = {}
  const isAgo = text.endsWith(" ago")
  for (const [, amount, unit] of text.matchAll(/([+-]?[\d.]+) ([a-z]+)(?= |$)/g)) {
    const name = units.find(([pattern]) => pattern.test(unit!))?.[1]
    if (name === undefined) return undefined
    if (name === "seconds") [parts.seconds, parts.milliseconds] = splitSeconds(amount!)
    else parts[name] = Number(amount)
  }
  if (isAgo) { for (const [name, value] of Object.entries(parts)) parts[name as keyof Interval] = -value }
  return make(parts)
}

const isoPattern = /^P(?:(-?\d+)Y)?(?:(-?\d+)M)?(?:(-?\d+)D)?(?:T(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?\d+(?:\.\d+)?)S)?)?$/

/** `P1Y2M-3DT4H5M6.7S` */
const iso = (text: string): Interval | undefined => {
  const match = isoPattern.exec(text)
  if (match === null) return undefined
  const [years, months, days, hours, minutes] = match.slice(1, 6).map((part) => Number(part ?? 0))
  const [seconds, milliseconds] = splitSeconds(match[6] ?? "0")
  return make({ years: years!, months: months!, days: days!, hours: hours!, minutes: minutes!, seconds, milliseconds })
}

const standardPattern =
  /^(?:([+-]?)(\d+)-(\d+))?(?:(?:^| )([+-]?)(\d+)(?= ))?(?:(?:^| )([+-]?)(\d+):(\d\d):(\d\d(?:\.\d+)?))?$/

/** `+1-2 -3 +4:05:06.7`; `1-2`; `3 4:05:06`, where a sign in front is that of all parts; `0` */
const standard = (text: string): Interval | undefined => {
  if (text === "0") return make({})
  const match = standardPattern.exec(text)
  if (match === null) return undefined
  const sign = (own: string | undefined, before: number) => own === "-" ? -1 : own === "+" ? 1 : before
  const ofMonths = sign(match[1], 1)
  const ofDays = sign(match[4], 1)
  // `-3 4:05:06`: the one sign of a value without months.
  const ofTime = sign(match[6], match[2] === undefined ? ofDays : 1)
  const [seconds, milliseconds] = splitSeconds(match[9] ?? "0")
  return make({
    years: ofMonths * Number(match[2] ?? 0),
    months: ofMonths * Number(match[3] ?? 0),
    days: ofDays * Number(match[5] ?? 0),
    hours: ofTime * Number(match[7] ?? 0),
    minutes: ofTime * Number(match[8] ?? 0),
    seconds: ofTime * seconds,
    milliseconds: ofTime * milliseconds
  })
}

/** What style `postgres` looks like: units in words and a time of two digits, or either alone. */
const postgresPattern =
  /^(?=.)(?:-?\d+ years?)?(?: ?[+-]?\d+ mons?)?(?: ?[+-]?\d+ days?)?(?: ?[+-]?\d{2,}:\d\d:\d\d(?:\.\d+)?)?$/

/**
 * Reads an interval. Style `postgres`, which is the default, by `pg` itself; a text that is no interval in any style is
 * refused.
 */
export const parse = (text: string): unknown => {
  if (postgresPattern.test(text)) return usual(text)
  const read = text.startsWith("@") ? verbose(text) : text.startsWith("P") ? iso(text) : standard(text)
  if (read !== undefined) return read
  // From PostgreSQL 17 on.
  if (text === "infinity") return Infinity
  if (text === "-infinity") return -Infinity
  throw new Unreadable("an interval in a style that is not known: leave IntervalStyle alone")
}

/**
 * Options of a call that are not known. The types refuse them in a literal; in a variable, or in plain JavaScript, they would do nothing.
 */
import type * as Effect from "effect/Effect"
import type { DbError } from "../../DbError.js"
import { nearest } from "../config/nearest.js"
import type { Engine } from "../Engine.js"
import { unsendable } from "../error/engine.js"
import { type QueryOptions, refused } from "./Query.js"
import type { Asked } from "./Rows.js"
import type { ReadOptions, TransactionOptions } from "./Transaction.js"

const namesOf = (names: Readonly<Record<string, true>>): ReadonlySet<string> => new Set(Object.keys(names))

/** What the members that give rows take. */
export const ofRows = namesOf({ timeout: true, schema: true } satisfies Record<keyof Asked["options"], true>)

/** What `Db.script` takes. */
export const ofQuery = namesOf({ timeout: true } satisfies Record<keyof QueryOptions, true>)

/** What `Db.transaction` and `Db.batch` take. */
export const ofTransaction = namesOf(
  {
    isolation: true,
    readOnly: true,
    deferrable: true,
    timeout: true,
    retry: true,
    resolveCommit: true
  } satisfies Record<keyof TransactionOptions, true>
)

/** What `Db.read` takes. */
export const ofRead = namesOf(
  { isolation: true, staleness: true, timeout: true, retry: true } satisfies Record<keyof ReadOptions, true>
)

/** What is wrong with options that hold another name; `undefined` where nothing is. */
const unknownOption = (options: object, known: ReadonlySet<string>): string | undefined => {
  for (const name in options) {
    if (!known.has(name)) {
      const lower = name.toLowerCase()
      const near = [...known].find((other) => other.toLowerCase() === lower) ?? nearest(name, known)
      // A name may be a value that was put in the wrong place.
      const shown = /^\w{1,40}$/.test(name) ? `"${name}"` : `a name of ${name.length} characters`
      return `${shown} is no option of this call${near === undefined ? "" : ` (is ${near} meant?)`}; accepted: ${
        [...known].join(", ")
      }`
    }
  }
  return undefined
}

/** The failure of a call with an option that there is not; looked for only where there are options. */
export const refusedOption = (
  engine: Engine,
  options: object | undefined,
  known: ReadonlySet<string>
): Effect.Effect<never, DbError> | undefined => {
  const what = options === undefined ? undefined : unknownOption(options, known)
  return what === undefined
    ? undefined
    : refused(engine, unsendable(engine.name, what, undefined, "correct the name, or leave the option out"))
}

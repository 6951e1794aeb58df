/**
 * The names of the variables, and which of them wins.
 */
import type { Row } from "./row.js"
import { rows, settings } from "./settings.js"
import type { Environment } from "./values.js"

/** The environments that have variables of their own. */
export const environments: ReadonlyArray<Environment> = ["production", "development", "test"]

/** A database's name as it may stand in variables: `SurveyHub` is `SURVEY_HUB` or `SURVEYHUB`. */
export const spellings = (name: string): ReadonlyArray<string> => {
  const plain = (text: string) => text.replace(/[^A-Za-z\d]+/g, "_").toUpperCase()
  return [...new Set([plain(name.replace(/([a-z\d])([A-Z])/g, "$1_$2")), plain(name)])]
}

/** What a database's own variables begin with, in messages. */
export const ownPrefix = (name: string): string => name === "default" ? "DATABASE_" : `${spellings(name)[0]}_DATABASE_`

/** One place to look: what its variables begin with (several spellings), and which rows it may hold. */
interface Place {
  readonly prefixes: ReadonlyArray<string>
  readonly shared: boolean
}

/** The places to look at, the winning one first. */
export const places = (name: string, environment: Environment): ReadonlyArray<Place> => {
  const names = spellings(name)
  const capitals = environment.toUpperCase()
  return [
    { prefixes: names.map((spelling) => `${capitals}_GLOBAL_${spelling}_`), shared: false },
    { prefixes: names.map((spelling) => `${spelling}_DATABASE_`), shared: false },
    ...(name === "default" ? [{ prefixes: ["DATABASE_"], shared: false }] : []),
    { prefixes: [`${capitals}_GLOBAL_DATABASE_`, `${capitals}_GLOBAL_CONNECTION_`], shared: true }
  ]
}

/** The variables that may hold a row in one place. */
export const candidates = (place: Place, row: Row<unknown>): ReadonlyArray<string> =>
  place.shared && !row.shared
    ? []
    : place.prefixes.flatMap((prefix) =>
      // Of the variables with CONNECTION in their name there is one.
      prefix.endsWith("_GLOBAL_CONNECTION_")
        ? (row.option === settings.pool.size.option ? [`${prefix}POOL_SIZE`] : [])
        : row.suffixes.map((suffix) => `${prefix}${suffix}`)
    )

/** The variables that a database may be configured by in some environments: in all, unless they are given. */
export const known = (
  name: string,
  among: ReadonlyArray<Environment> = environments
): ReadonlyArray<string> => [
  ...new Set(
    among.flatMap((environment) =>
      places(name, environment).flatMap((place) =>
        rows.flatMap((row) =>
          candidates(place, row).flatMap((variable) => row.file ? [variable, `${variable}_FILE`] : [variable])
        )
      )
    )
  )
]

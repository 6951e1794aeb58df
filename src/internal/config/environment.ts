/**
 * Options from variables.
 */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Fs from "node:fs"
import { all, unusable } from "./faults.js"
import type { DbConfig } from "./model.js"
import type { Options } from "./options.js"
import { processVariables, surroundings, variables } from "./process.js"
import type { Earlier, Explained } from "./resolve.js"
import { configured, explain } from "./resolve.js"
import type { Row } from "./row.js"
import { rows, settings } from "./settings.js"
import { warnOfTypos } from "./typos.js"
import { parse } from "./url.js"
import { candidates, known, places } from "./variables.js"

type Variables = Readonly<Record<string, Option.Option<string>>>

/** What was found: options, the variable each came from, and what could not be used. */
interface Found {
  readonly options: Options
  readonly origins: ReadonlyMap<string, string>
  readonly faults: Earlier
}

/** A secret mounted as a file ends with the newline that editors and `echo` put there. */
const readSecret = (path: string): string => Fs.readFileSync(path, "utf8").replace(/\r?\n$/, "")

const unreadable = (variable: string, path: string, error: unknown): ConfigError.ConfigError =>
  ConfigError.InvalidData(
    [variable],
    `names the file ${JSON.stringify(path)}, which cannot be read ` +
      `(${(error as NodeJS.ErrnoException).code ?? "unknown reason"}); accepted: the path of a file; ` +
      `example: ${variable}=/run/secrets/${variable.replace(/_FILE$/, "").toLowerCase()}`
  )

/**
 * What a file holds. User names and passwords are read again for every new connection, because mounted secrets are
 * rotated. They are read now too, so that a wrong path is reported at once.
 */
const fromFile = (row: Row<unknown>, variable: string, path: string): Either.Either<unknown, ConfigError.ConfigError> =>
  Either.try({
    try: () => {
      const text = readSecret(path)
      const again = <A>(use: (text: string) => A) =>
        Effect.try({ try: () => use(readSecret(path)), catch: (error) => unreadable(variable, path, error) })
      return row === settings.password
        ? again((text) => Redacted.make(text))
        : row === settings.username
        ? again((text) => text)
        : row.kind.fromText(text)
    },
    catch: (error) => unreadable(variable, path, error)
  })

/** A bare number of seconds is how `..._TIMEOUT` has always been written where this layout comes from. */
const withUnit = (variable: string, row: Row<unknown>, text: string): string =>
  row === settings.pool.acquireTimeout && !variable.endsWith(`_${row.suffixes[0]}`) && /^\d+(\.\d+)?$/.test(text)
    ? `${text}s`
    : text

const put = (options: Record<string, unknown>, option: string, value: unknown): void => {
  const keys = option.split(".")
  const last = keys.pop()!
  let target = options
  for (const key of keys) {
    // Only this function puts objects here.
    target = (target[key] ??= {}) as Record<string, unknown>
  }
  target[last] = value
}

const read = (name: string, raw: Variables): Found => {
  const get = (variable: string): string | undefined => {
    const text = Option.getOrUndefined(raw[variable] ?? Option.none())
    return text === "" ? undefined : text
  }
  const options: Record<string, unknown> = {}
  const origins = new Map<string, string>()
  const faults = new Map<string, ConfigError.ConfigError>()
  const around = surroundings(undefined, raw)
  if (Either.isLeft(around)) {
    faults.set("environment", around.left)
  }
  const environment = Either.getOrElse(around, () => ({ environment: "development" as const })).environment
  options.environment = environment

  const look = places(name, environment)
  // An address belongs together: below the place of the URL nothing is looked for that would change a part of it.
  let lowest = look.length
  for (const row of rows) {
    for (const [index, place] of look.slice(0, row.address ? lowest : look.length).entries()) {
      const set = candidates(place, row)
        .flatMap((variable) => row.file ? [variable, `${variable}_FILE`] : [variable])
        .filter((variable) => get(variable) !== undefined)
      const variable = set[0]
      if (variable === undefined) {
        continue
      }
      const text = get(variable)!
      origins.set(row.option, variable)
      if (row === settings.url) {
        lowest = index + 1
      }
      if (set.length > 1) {
        faults.set(
          row.option,
          ConfigError.InvalidData(
            [variable],
            `is set beside ${set.slice(1).join(" and ")}; ` +
              "accepted: one of them"
          )
        )
      } else if (row.file && variable.endsWith("_FILE")) {
        Either.match(fromFile(row, variable, text), {
          onLeft: (error) => faults.set(row.option, error),
          onRight: (value) => put(options, row.option, value)
        })
      } else {
        const value = row.kind.fromText(withUnit(variable, row, text))
        if (value === undefined) {
          faults.set(row.option, ConfigError.InvalidData([variable], unusable(row, text, variable)))
        } else {
          put(options, row.option, value)
        }
      }
      break
    }
  }
  // Every value was put under its own option, decoded by the kind of that option.
  return { options: options as Options, origins, faults }
}

/** The options, or all that is wrong with them. */
const optionsOf = (name: string, found: Variables): Either.Either<Options, ConfigError.ConfigError> => {
  const { faults, options, origins } = read(name, found)
  const errors = [...faults.values()]
  if (options.url !== undefined && !faults.has("url")) {
    const text = Redacted.isRedacted(options.url) ? Redacted.value(options.url) : options.url
    const variable = origins.get("url") ?? "url"
    Either.match(parse(text), {
      onLeft: (problems) => errors.push(...problems.map((problem) => ConfigError.InvalidData([variable], problem))),
      onRight: () => {}
    })
  }
  const [first, ...others] = errors
  return first === undefined ? Either.right(options) : Either.left(all([first, ...others]))
}

/** A Config of the options of a database. */
export const config = (name: string): Config.Config<Options> =>
  // A Config cannot look at one variable to decide which others to read: it reads those of every environment.
  Config.mapOrFail(variables([...processVariables, ...known(name)]), (found) => optionsOf(name, found))

/** What variables lead to, with all that is wrong with them, and what came from which. */
export const explained = (name: string): Effect.Effect<Explained, ConfigError.ConfigError> =>
  Effect.gen(function*() {
    const ofProcess = yield* variables(processVariables)
    const around = surroundings(undefined, ofProcess)
    const environments = Either.isRight(around) ? [around.right.environment] : undefined
    const { faults, options, origins } = read(name, { ...ofProcess, ...yield* variables(known(name, environments)) })
    const variable = Either.isRight(around) ? around.right.variable : undefined
    return yield* explain(
      name,
      // Without a variable it is assumed, not given.
      variable === undefined ? { ...options, environment: undefined } : options,
      (option) => option === settings.environment.option ? variable : origins.get(option),
      faults
    )
  })

/** The complete configuration of a database, from variables alone. */
export const fromEnv = (name: string): Effect.Effect<DbConfig, ConfigError.ConfigError> =>
  Effect.zipRight(warnOfTypos(name), Effect.flatMap(explained(name), configured))

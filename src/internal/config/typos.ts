/**
 * Variables that were probably meant to be others.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { childrenOf } from "../effect/configProvider.js"
import { distance, nearest } from "./nearest.js"
import { settings } from "./settings.js"
import { known, spellings } from "./variables.js"

/** A variable that is set but not known, and the known one it comes nearest to. */
export interface Typo {
  readonly variable: string
  readonly meant: string
}

/** The parts before the name of a setting, such as `DATABASE_`. */
const beginning = /^(?:[A-Z]+_GLOBAL_[A-Z\d_]*?|[A-Z\d_]*?)(?:DATABASE_)/

/** The typos among the names of variables. */
export const typos = (name: string, variables: Iterable<string>): ReadonlyArray<Typo> => {
  const names = known(name)
  const isKnown = new Set(names)
  const bySetting = new Map<string, Array<string>>()
  for (const variable of names) {
    const prefix = beginning.exec(variable)?.[0]
    if (prefix !== undefined) {
      const settings = bySetting.get(prefix) ?? []
      settings.push(variable.slice(prefix.length))
      bySetting.set(prefix, settings)
    }
  }
  const found: Array<Typo> = []
  for (const variable of variables) {
    if (isKnown.has(variable)) {
      continue
    }
    const prefix = beginning.exec(variable)?.[0]
    const settings = prefix === undefined ? undefined : bySetting.get(prefix)
    const setting = settings === undefined ? undefined : nearest(variable.slice(prefix!.length), settings)
    if (setting !== undefined) {
      found.push({ variable, meant: `${prefix}${setting}` })
    } else if (name === "default" && prefix === undefined) {
      // DATABSE_URL: the word in front is wrong, and the rest must then be right.
      const at = variable.indexOf("_")
      const rest = variable.slice(at + 1)
      if (at > 0 && distance(variable.slice(0, at), "DATABASE") <= 2 && bySetting.get("DATABASE_")!.includes(rest)) {
        found.push({ variable, meant: `DATABASE_${rest}` })
      }
    }
  }
  return name === "default" ? found : [...found, ...ownTypos(name, variables, isKnown)]
}

/** What a variable that says where a database is ends with. */
const making = [...settings.url.suffixes.flatMap((suffix) => [suffix, `${suffix}_FILE`]), ...settings.type.suffixes]

/**
 * `REP_DATABSE_URL`, and `REPP_DATABASE_URL`, for a database of the name Rep. The latter may as well be that of another
 * database: it is told only where nothing says where this one is.
 */
const ownTypos = (
  name: string,
  variables: Iterable<string>,
  isKnown: ReadonlySet<string>
): ReadonlyArray<Typo> => {
  const names = spellings(name)
  const all = [...variables]
  const isConfigured = all.some((variable) =>
    isKnown.has(variable) && names.some((own) => making.some((end) => variable === `${own}_DATABASE_${end}`))
  )
  const found: Array<Typo> = []
  for (const variable of all) {
    if (isKnown.has(variable)) {
      continue
    }
    const own = names.find((own) => variable.startsWith(`${own}_`))
    const [, word, rest] = /^([A-Z\d]+)_(.+)$/.exec(variable.slice((own?.length ?? 0) + 1)) ?? []
    if (own !== undefined && word !== "DATABASE" && distance(word ?? "", "DATABASE") <= 2) {
      const meant = `${own}_DATABASE_${rest}`
      if (isKnown.has(meant)) {
        found.push({ variable, meant })
      }
      continue
    }
    const [, other, end] = /^(.+)_DATABASE_(.+)$/.exec(variable) ?? []
    const near = other === undefined || own !== undefined || isConfigured ? undefined : nearest(other, names)
    if (near !== undefined && making.includes(end!)) {
      found.push({ variable, meant: `${near}_DATABASE_${end}` })
    }
  }
  return found
}

/** The names of the provider's variables whose first word is accepted. An empty variable counts as missing. */
export const present = (accepts: (word: string) => boolean): Effect.Effect<ReadonlyArray<string>> =>
  Effect.configProviderWith((provider) => {
    const walk = (path: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>> =>
      Effect.gen(function*() {
        const children = yield* childrenOf(provider, path)
        const below = yield* Effect.forEach(
          children.filter((child) => path.length > 0 || accepts(child.split("_")[0]!)),
          (child) => walk([...path, child])
        )
        const variable = path.join("_")
        const value = path.length === 0 ? Option.none() : yield* Effect.orElseSucceed(
          provider.load(Config.option(Config.string(variable))),
          () => Option.none()
        )
        return [...Option.isSome(value) && value.value !== "" ? [variable] : [], ...below.flat()]
      })
    return walk([])
  })

/** What looks like a typo among the provider's variables. */
export const findTypos = (name: string): Effect.Effect<ReadonlyArray<Typo>> => {
  const words = new Set(known(name).map((variable) => variable.split("_")[0]!))
  const own = name === "default" ? [] : spellings(name).map((spelling) => spelling.split("_")[0]!)
  return Effect.map(
    // Only those that may begin a variable of this database: the others need not be looked at.
    present((word) => words.has(word) || distance(word, "DATABASE") <= 2 || nearest(word, own) !== undefined),
    (variables) => typos(name, variables)
  )
}

/** The words in which a typo is told. */
export const typoText = ({ meant, variable }: Typo): string =>
  `the variable ${variable} is not known; is ${meant} meant?`

/** Warns of what looks like a typo. */
export const warnOfTypos = (name: string): Effect.Effect<void> =>
  Effect.flatMap(findTypos(name), Effect.forEach((typo) => Effect.logWarning(typoText(typo)), { discard: true }))

/**
 * What a `ConfigProvider` has below its `load`: the names of its variables, and loading that may be refused by name.
 */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import type * as ConfigError from "./ConfigError.js"

/** The names below a path; none where the provider cannot tell. */
export const childrenOf = (
  provider: ConfigProvider.ConfigProvider,
  path: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(
    Effect.orElseSucceed(provider.load(path), () => undefined),
    namesOf
  )

/** Names that are numbers, such as `1` of `SHOP_1_DATABASE_URL`, are those of a list. */
const namesOf = (node: ConfigProvider.Node | undefined): ReadonlyArray<string> =>
  node?._tag === "Record"
    ? [...node.keys]
    : node?._tag === "Array"
    ? Array.from({ length: node.length }, (_, index) => String(index))
    : []

const both = (before: ConfigProvider.Node, behind: ConfigProvider.Node | undefined): ConfigProvider.Node => {
  if (behind === undefined) {
    return before
  }
  const value = before.value ?? behind.value
  if (before._tag === "Array") {
    return ConfigProvider.makeArray(Math.max(before.length, behind._tag === "Array" ? behind.length : 0), value)
  }
  const names = new Set([...namesOf(before), ...namesOf(behind)])
  return names.size === 0 ? before : ConfigProvider.makeRecord(names, value)
}

/** What the first provider does not say, the second one says. It has the names of both, which that of Effect has not. */
export const orElse = (
  first: ConfigProvider.ConfigProvider,
  second: ConfigProvider.ConfigProvider
): ConfigProvider.ConfigProvider =>
  ConfigProvider.make((path) =>
    Effect.flatMap(first.load(path), (before) =>
      before === undefined
        ? second.load(path)
        : Effect.match(second.load(path), {
          onFailure: () => before,
          onSuccess: (behind) => both(before, behind)
        }))
  )

/** A provider in which a name is missing where `isHidden` says so. */
export const hiding = (
  provider: ConfigProvider.ConfigProvider,
  isHidden: (name: string) => Effect.Effect<boolean, ConfigError.ConfigError>,
  _reason: string
): ConfigProvider.ConfigProvider =>
  ConfigProvider.make((path) =>
    Effect.flatMap(
      Effect.mapError(isHidden(path.join("_")), (error) =>
        new ConfigProvider.SourceError({ message: error.message, cause: error })),
      (isHidden) => isHidden ? Effect.succeed(undefined) : provider.load(path)
    )
  )

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
    (node) => node?._tag === "Record" ? [...node.keys] : []
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

/**
 * What a `ConfigProvider` has below its `load`: the names of its variables, and loading that may be refused by name. Effect offers
 * both only by the flattened form of a provider, which Effect 4 does not have. Nor has a provider of two the names of both there.
 *
 * What this needs of Effect: `ConfigProvider.flattened` with `load`, `enumerateChildren` and `patch`.
 * `test/effect/configProvider.test.ts` fails where that is not so.
 */
import * as ConfigError from "effect/ConfigError"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as HashSet from "effect/HashSet"

/** The names below a path; none where the provider cannot tell. */
export const childrenOf = (
  provider: ConfigProvider.ConfigProvider,
  path: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(
    Effect.orElseSucceed(provider.flattened.enumerateChildren(path), () => HashSet.empty<string>()),
    (children) => [...children]
  )

/** What the first provider does not say, the second one says. It has the names of both. */
export const orElse = (
  first: ConfigProvider.ConfigProvider,
  second: ConfigProvider.ConfigProvider
): ConfigProvider.ConfigProvider => ConfigProvider.orElse(first, () => second)

/** A provider in which a name is missing where `isHidden` says so. */
export const hiding = (
  provider: ConfigProvider.ConfigProvider,
  isHidden: (name: string) => Effect.Effect<boolean, ConfigError.ConfigError>,
  reason: string
): ConfigProvider.ConfigProvider => {
  const { flattened } = provider
  return ConfigProvider.fromFlat(ConfigProvider.makeFlat({
    load: (path, primitive, isSplit) =>
      Effect.flatMap(isHidden(path.join("_")), (isHidden) =>
        isHidden
          ? Effect.fail(ConfigError.MissingData([...path], reason))
          : flattened.load(path, primitive, isSplit)),
    enumerateChildren: flattened.enumerateChildren,
    patch: flattened.patch
  }))
}

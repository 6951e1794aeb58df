/**
 * What the package says of itself.
 */
import { readFileSync } from "node:fs"

/** The part of a `package.json` that is read. */
export interface Manifest {
  readonly version: string
  readonly engines: { readonly node: string }
  readonly peerDependencies: Readonly<Record<string, string>>
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional?: boolean }>>
}

let read: Manifest | undefined

/** Of the package this file belongs to: three folders up, from `src/internal/cli` and from `dist/internal/cli`. */
export const own = (): Manifest =>
  // The package's own file, which has these.
  read ??= JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as Manifest

type Version = readonly [number, number, number]

const versionOf = (text: string): Version => {
  const [major = 0, minor = 0, patch = 0] = text.split(/[.+-]/, 3).map((part) => Number.parseInt(part, 10) || 0)
  return [major, minor, patch]
}

const isAtLeast = (version: Version, least: Version): boolean => {
  const at = version.findIndex((part, i) => part !== least[i])
  return at < 0 || version[at]! > least[at]!
}

/** Whether a version is in a range as `package.json` of this package has them: `*`, `>=20`, `^1.2.3`, `~1.2.3`, and several joined by `||`. */
export const isInRange = (version: string, range: string): boolean => {
  const given = versionOf(version)
  return range.split("||").map((part) => part.trim()).some((part) => {
    const least = versionOf(part.replace(/^\D+/, ""))
    return part === "*" || (isAtLeast(given, least) && (part.startsWith(">=") || (
      given[0] === least[0] && ((least[0] > 0 && !part.startsWith("~")) || given[1] === least[1])
    )))
  })
}

/** The installed version of a package, as this one would load it; `undefined` where there is none. */
export const installedVersion = (name: string): string | undefined => {
  for (let folder = new URL("./", import.meta.url);; folder = new URL("../", folder)) {
    try {
      const manifest: unknown = JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, folder), "utf8"))
      return typeof manifest === "object" && manifest !== null && "version" in manifest
        ? String(manifest.version)
        : undefined
    } catch {
      if (folder.pathname === new URL("../", folder).pathname) {
        return undefined
      }
    }
  }
}

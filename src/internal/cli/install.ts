/**
 * What a project has to install, in the words of its package manager.
 */
import * as Fs from "node:fs"
import { peers, self, vitest } from "../driver/effectPackages.js"
import { packages } from "../driver/packages.js"
import { own } from "./package.js"
import type { Family } from "./templates.js"

/** How the package managers add packages. */
const managers = {
  npm: { locks: ["package-lock.json", "npm-shrinkwrap.json"], add: "npm install", addDev: "npm install --save-dev" },
  pnpm: { locks: ["pnpm-lock.yaml"], add: "pnpm add", addDev: "pnpm add --save-dev" },
  yarn: { locks: ["yarn.lock"], add: "yarn add", addDev: "yarn add --dev" },
  bun: { locks: ["bun.lock", "bun.lockb"], add: "bun add", addDev: "bun add --dev" }
} as const

export type Manager = keyof typeof managers

// The table's own keys.
const names = Object.keys(managers) as ReadonlyArray<Manager>

/** The package manager of this folder: that of its lock file, else the one that runs this command, else npm. */
export const managerOf = (files: ReadonlyArray<string>, agent: string | undefined): Manager =>
  names.find((name) => managers[name].locks.some((lock) => files.includes(lock))) ??
    names.find((name) => agent?.startsWith(`${name}/`)) ?? "npm"

/** The version of a range as a package manager takes it: `^0.52.0` is 0.52, `^3.22.0` is 3, `~4.1.0` is 4.1. */
const versionOf = (range: string): string => {
  const [, sign, major, minor] = /^([\^~])(\d+)\.(\d+)/.exec(range) ?? []
  return major === undefined ? range : major === "0" || sign === "~" ? `${major}.${minor}` : major
}

const peer = (name: string): string => `${name}@${versionOf(own().peerDependencies[name]!)}`

/** What compiles and tests, in versions that go with the Effect of this package. */
const tools = [
  "typescript@5",
  "tsx@4",
  `@types/node@${Number.parseInt(process.versions.node, 10)}`,
  vitest
]

const isAt = (folder: string) => (spec: string): boolean =>
  Fs.existsSync(`${folder}/node_modules/${spec.replace(/(.)@.*$/, "$1")}`)

/** The commands that install what is not there yet. */
export const installation = (folder: string, family: Family, manager: Manager): ReadonlyArray<string> => {
  const isMissing = (spec: string) => !isAt(folder)(spec)
  const words = (text: string) => text.replace("--save-dev ", "").split(" ")
  const needed = [self, ...peers.map(peer), ...words(packages[family])]
  // What the first test opens.
  const tested = family === "postgresql" ? words(packages.embedded) : words(packages.sqlite)
  const missing = needed.filter(isMissing)
  const missingTools = [...tools, peer("vitest"), ...tested].filter((spec) => isMissing(spec) && !needed.includes(spec))
  const { add, addDev } = managers[manager]
  return [
    ...(missing.length === 0 ? [] : [`${add} ${missing.join(" ")}`]),
    ...(missingTools.length === 0 ? [] : [`${addDev} ${missingTools.join(" ")}`])
  ]
}

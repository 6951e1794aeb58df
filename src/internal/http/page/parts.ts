/**
 * The status page: `browser/page.html` with its style and its script in it, cut where the nonce of an answer goes.
 *
 * `npm run build` writes a module that holds the texts in the place of this one (scripts/page.ts), because a program that
 * is bundled has no files beside it. In a program that runs from source they are made of the files, when they are asked for.
 */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"

/** As much of esbuild as is used: what is published does not have it. */
interface Bundler {
  readonly buildSync: (options: object) => { readonly outputFiles: readonly [{ readonly text: string }] }
}

const mark = "{nonce}"

const path = (name: string): string => fileURLToPath(new URL(`./browser/${name}`, import.meta.url))

const bundled = (name: string): string => {
  const { buildSync } = createRequire(import.meta.url)("esbuild") as Bundler
  return buildSync({ entryPoints: [path(name)], bundle: true, write: false, target: "es2022", charset: "utf8" })
    .outputFiles[0].text
}

const make = (): ReadonlyArray<string> =>
  readFileSync(path("page.html"), "utf8")
    .replace(
      /<link rel="stylesheet" href="(.+)">/,
      (_, name: string) => `<style nonce="${mark}">\n${readFileSync(path(name), "utf8")}</style>`
    )
    .replace(
      /<script src="(.+)"><\/script>/,
      (_, name: string) => `<script nonce="${mark}">\n${bundled(name)}</script>`
    )
    .split(mark)

let made: ReadonlyArray<string> | undefined

export const parts = (): ReadonlyArray<string> => made ??= make()

/**
 * The package as its users have it: built, and installed in an otherwise empty project.
 *
 * - `buildPackage()`: compiles `src` as `npm run build` does, into a temporary folder; `{ directory, output }`.
 * - `Project.make(build, packages)`: `Effect<Project, never, Scope>`; a folder whose `node_modules` holds `dblive`, its required peers and
 *   the named packages, nothing else. `project.run(code, env?)` runs a module there: `{ code, stdout, stderr }`. `project.check(code, options?)` type-checks one.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))
const compiler = path.join(root, "node_modules/typescript/bin/tsc")

/** What `package.json` says. */
export const manifest: {
  readonly exports: Readonly<Record<string, string | null | { readonly types: string; readonly default: string }>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional?: boolean }>>
} = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"))

/** Peers without which the package does nothing. */
export const requiredPeers: ReadonlyArray<string> = Object.keys(manifest.peerDependencies)
  .filter((name) => manifest.peerDependenciesMeta[name]?.optional !== true)

/** How a process ended. */
export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const node = (args: ReadonlyArray<string>, cwd: string, env: Readonly<Record<string, string>> = {}): Promise<Ended> =>
  new Promise((resolve) => {
    const inherited = {
      PATH: process.env["PATH"],
      HOME: cwd,
      TMPDIR: os.tmpdir(),
      SystemRoot: process.env["SystemRoot"]
    }
    execFile(process.execPath, args, { cwd, env: { ...inherited, ...env } }, (error, stdout, stderr) => {
      // A process that could not be started has a code that is a word.
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1
      resolve({ code, stdout, stderr })
    })
  })

const temporaryFolder = (): string => fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "dblive-project-")))

const remove = (directory: string) => fs.rmSync(directory, { recursive: true, force: true })

/** The built package. */
export interface Build {
  /** Holds `package.json` and `dist`. */
  readonly directory: string
  /** The compiler's complaints. */
  readonly output: string
  readonly remove: () => void
}

/** Compiles the package into a temporary folder. */
export const buildPackage = async (): Promise<Build> => {
  const directory = temporaryFolder()
  const { stdout } = await node(
    [compiler, "-p", path.join(root, "tsconfig.build.json"), "--outDir", path.join(directory, "dist")],
    root
  )
  fs.copyFileSync(path.join(root, "package.json"), path.join(directory, "package.json"))
  return { directory, output: stdout, remove: () => remove(directory) }
}

/** A project that uses the package. */
export interface Project {
  readonly directory: string
  readonly run: (code: string, env?: Readonly<Record<string, string>>) => Effect.Effect<Ended>
  /** Type-checks a module; the declarations of packages as well where `libraries` is true. */
  readonly check: (
    code: string,
    options: { readonly module: "nodenext" | "bundler"; readonly libraries?: boolean }
  ) => Effect.Effect<Ended>
}

/** A project that uses the package. */
export const Project = {
  /** Makes one, in a temporary folder that the scope removes. */
  make: (build: Build, packages: ReadonlyArray<string>): Effect.Effect<Project, never, Scope.Scope> =>
    Effect.map(
      Effect.acquireRelease(Effect.sync(temporaryFolder), (directory) => Effect.sync(() => remove(directory))),
      (directory): Project => {
        const modules = path.join(directory, "node_modules")
        // A copy, not a link: a link would find the packages of this repository.
        fs.cpSync(build.directory, path.join(modules, "dblive"), { recursive: true })
        for (const name of [...requiredPeers, ...Object.keys(manifest.dependencies), ...packages]) {
          const place = path.join(modules, name)
          fs.mkdirSync(path.dirname(place), { recursive: true })
          fs.symlinkSync(path.join(root, "node_modules", name), place, "junction")
        }
        fs.writeFileSync(path.join(directory, "package.json"), JSON.stringify({ type: "module", private: true }))
        return {
          directory,
          run: (code, env) =>
            Effect.promise(() => {
              fs.writeFileSync(path.join(directory, "main.js"), code)
              return node(["main.js"], directory, env)
            }),
          check: (code, { libraries = false, module }) =>
            Effect.promise(() => {
              fs.writeFileSync(path.join(directory, "main.ts"), code)
              const compilerOptions = {
                ...(module === "nodenext" ? { module } : { module: "esnext", moduleResolution: module }),
                noEmit: true,
                strict: true,
                exactOptionalPropertyTypes: true,
                target: "es2022",
                skipLibCheck: !libraries,
                types: []
              }
              const config = { compilerOptions, files: ["main.ts"] }
              fs.writeFileSync(path.join(directory, "tsconfig.json"), JSON.stringify(config))
              return node([compiler, "-p", "."], directory)
            })
        }
      }
    )
}

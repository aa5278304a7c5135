// Bundles the page into gateway/web/static: `npm run build`. Names carry a hash of the content, so everything but
// index.html may be cached for ever. Each file lies compressed beside itself (.br, .gz).
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import zlib from "node:zlib";
import { build } from "esbuild";

const page = path.dirname(fileURLToPath(import.meta.url));
const output = path.resolve(page, process.argv[2] ?? "../gateway/web/static");
const brotli = promisify(zlib.brotliCompress);
const gzip = promisify(zlib.gzip);

await rm(output, { recursive: true, force: true });
const { metafile } = await build({
  absWorkingDir: page,
  entryPoints: { main: "src/main.tsx", styles: "src/styles.css", icon: "src/icon.svg" },
  outdir: path.join(output, "assets"),
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  target: ["es2022"],
  minify: true,
  jsx: "automatic",
  jsxImportSource: "preact",
  loader: { ".svg": "copy" },
  metafile: true,
  logLevel: "warning",
});

const built = Object.entries(metafile.outputs).map(([file, { entryPoint }]) => ({ file, entryPoint }));
const address = (source) => {
  const { file } = built.find(({ entryPoint }) => entryPoint === source);
  return `/${path.relative(output, path.resolve(page, file)).split(path.sep).join("/")}`;
};
const html = (await readFile(path.join(page, "src/index.html"), "utf8"))
  .replace("/main.js", address("src/main.tsx"))
  .replace("/styles.css", address("src/styles.css"))
  .replace("/icon.svg", address("src/icon.svg"));
await mkdir(output, { recursive: true });
await writeFile(path.join(output, "index.html"), html);

const files = (await readdir(output, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
let total = 0;
for (const entry of files) {
  const file = path.join(entry.parentPath, entry.name);
  const content = await readFile(file);
  const small = await brotli(content, {
    params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 11, [zlib.constants.BROTLI_PARAM_SIZE_HINT]: content.length },
  });
  await writeFile(`${file}.br`, small);
  await writeFile(`${file}.gz`, await gzip(content, { level: 9 }));
  total += small.length;
}
console.log(`Built the page: ${files.length} files, ${Math.round(total / 1000)} kB compressed.`);

// Loading a module once, from the package or from what is given.

/**
 * A function that loads it, and tells `loaded` what it exports. Further calls give the same promise; a failed load may
 * be tried again.
 */
export const loader = (load, place, loaded) => {
  let loading;
  const begin = async (input = place()) => {
    // Node's fetch() reads no files. `getBuiltinModule` is no import that a bundler would look for.
    if (input.protocol === "file:") input = process.getBuiltinModule("node:fs").readFileSync(input);
    loaded(await load({ module_or_path: input }));
  };
  return (input) => {
    loading ??= begin(input);
    loading.catch(() => (loading = undefined));
    return loading;
  };
};

<?php
// A plugin of Adminer: its form opens with PostgreSQL chosen. The image presets the server, ADMINER_DEFAULT_SERVER, and Adminer MySQL.
return new class {
	function loginFormField($name, $heading, $value) {
		if ($name !== 'driver' || isset($_GET['username'])) {
			return null; // As without the plugin.
		}
		$nothing_chosen = str_replace(' selected', '', $value);
		return $heading . str_replace('value="pgsql"', 'value="pgsql" selected', $nothing_chosen) . "\n";
	}
};

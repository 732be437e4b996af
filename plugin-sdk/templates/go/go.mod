module {{name}}

go 1.24

require mqtt-source/plugin-sdk v0.1.0

replace mqtt-source/plugin-sdk => ./sdk
